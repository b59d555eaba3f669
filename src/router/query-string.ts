/** Query strings, decoded as strictly as paths: what is broken is refused, and not passed on as text. */
import { invalid } from './problem.ts';
import { decodeStrictly } from './target.ts';

const KNOWN = ['key', 'prefix', 'limit', 'cursor', 'encoding', 'consistency', 'peer'] as const;
export type Parameter = (typeof KNOWN)[number];
export type Parameters = Readonly<Partial<Record<Parameter, string>>>;

const MAX_QUERY_CHARACTERS = 65_536;

/** Unknown parameters are decoded, and ignored. Throws the 400 problem on broken escapes and on repeated known ones. */
export function parseQuery(query: string): Parameters {
  if (query.length > MAX_QUERY_CHARACTERS)
    throw invalid(`The query is longer than ${MAX_QUERY_CHARACTERS} characters.`);
  const parameters: Partial<Record<Parameter, string>> = {};
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    const value = decode(equals < 0 ? '' : pair.slice(equals + 1));
    if (!isKnown(name)) continue;
    if (parameters[name] !== undefined) throw invalid(`The parameter ${name} is repeated.`);
    parameters[name] = value;
  }
  return parameters;
}

function decode(text: string): string {
  const decoded = decodeStrictly(text.replaceAll('+', ' '));
  if (decoded === null) throw invalid('The query is not valid percent-encoded UTF-8.');
  return decoded;
}

function isKnown(name: string): name is Parameter {
  return (KNOWN as readonly string[]).includes(name);
}
