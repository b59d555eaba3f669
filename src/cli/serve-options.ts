/** The arguments of `npm run serve`. */
import { parseArgs } from 'node:util';
import { GROUP_SIZES } from '../router/settings.ts';

export const USAGE = 'usage: npm run serve -- [--port 8787] [--peers 3] [--chaos] [--data DIR]';
const MAX_PORT = 65_535;

export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface ServeOptions {
  readonly port: number;
  readonly peers: number;
  readonly chaos: boolean;
  readonly dataDirectory?: string;
}

/** Throws UsageError. */
export function parseServeOptions(args: string[]): ServeOptions {
  const { port, peers, chaos, data } = parsedValues(args);
  if (data === '') throw new UsageError('--data needs the name of a directory');
  return {
    port: integer('--port', port, (value) => value <= MAX_PORT, `an integer from 0 (any free one) to ${MAX_PORT}`),
    peers: integer('--peers', peers, (value) => GROUP_SIZES.includes(value), `one of ${GROUP_SIZES.join(', ')}`),
    chaos,
    ...(data === undefined ? {} : { dataDirectory: data }),
  };
}

function parsedValues(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        port: { type: 'string', default: '8787' },
        peers: { type: 'string', default: '3' },
        chaos: { type: 'boolean', default: false },
        data: { type: 'string' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function integer(name: string, text: string, isAllowed: (value: number) => boolean, allowed: string): number {
  if (/^[0-9]{1,5}$/.test(text) && isAllowed(Number(text))) return Number(text);
  throw new UsageError(`${name} must be ${allowed}, not ${JSON.stringify(text)}`);
}
