/** A page as its tests read it. */
import { expect } from 'vitest';
import type { NotLinearizable } from './not-linearizable.ts';

export interface Element {
  readonly tag: string;
  readonly classes: readonly string[];
  readonly id: string | null;
  readonly title: string;
  readonly style: Readonly<Record<string, number>>;
  readonly text: string;
}

const decoded = (text: string) =>
  text.replace(
    /&(lt|gt|quot|#39|amp);/g,
    (_, name: string) => ({ lt: '<', gt: '>', quot: '"', '#39': "'", amp: '&' })[name]!,
  );

/** Every element, with the text that follows its tag; throws unless the tags are balanced. */
export function elementsIn(html: string): Element[] {
  const body = html.replace(/<(script|style)>.*?<\/\1>/gs, '<$1></$1>').replace('<!doctype html>', '');
  const elements: Element[] = [];
  const open: string[] = [];
  for (const [, slash, tag, attributes, text] of body.matchAll(
    /<(\/?)([a-z0-9]+)((?:\s+[a-z-]+(?:="[^"]*")?)*)>([^<]*)/g,
  )) {
    if (slash) {
      expect(open.pop()).toBe(tag);
      continue;
    }
    if (!['meta', 'input'].includes(tag!)) open.push(tag!);
    const attribute = (name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(attributes!)?.[1] ?? null;
    const style = [...(attribute('style') ?? '').matchAll(/--([a-z]+):([-\d.]+)/g)];
    elements.push({
      tag: tag!,
      classes: (attribute('class') ?? '').split(' '),
      id: attribute('id'),
      title: decoded(attribute('title') ?? ''),
      style: Object.fromEntries(style.map(([, name, value]) => [name, Number(value)])),
      text: decoded(text!).trim(),
    });
  }
  expect(open).toEqual([]);
  return elements;
}

export const withClass = (elements: readonly Element[], name: string) =>
  elements.filter(({ classes }) => classes.includes(name));

/** A bar for every operation and every listing, and just those of the smallest bad window marked. */
export function expectBadWindow(
  elements: readonly Element[],
  { operations, listings, violation }: NotLinearizable,
): void {
  const bars = withClass(elements, 'bar');
  expect(bars).toHaveLength(operations.length + listings.length);
  const marked = withClass(bars, 'bad').map(({ title }) => title);
  expect(marked).toHaveLength(violation.window.length + violation.windowListings.length);
  for (const { clientId, key, input, call } of violation.window) {
    const ofIt = marked.filter((title) => title.includes(`client ${clientId}, ${Number(call.toFixed(3))} –`));
    expect(ofIt.map((title) => title.startsWith(`${input.type} ${key} `))).toEqual([true]);
  }
}
