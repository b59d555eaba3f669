/** Who may call: everybody with the token; without a configured token everybody on a laptop, and nobody when deployed. */
import { Problem } from './problem.ts';
import type { Settings } from './settings.ts';

const MAX_AUTHORIZATION_CHARACTERS = 8192;

/** Throws the 401 problem. */
export async function authenticate(settings: Settings, authorization: string | null): Promise<void> {
  const { apiToken, open } = settings;
  if (apiToken === null) {
    if (open) return;
    throw refused('No API_TOKEN is configured, so everything is closed.');
  }
  if (authorization === null || authorization.length > MAX_AUTHORIZATION_CHARACTERS) throw refused();
  const token = /^bearer +([^ ]+) *$/i.exec(authorization)?.[1];
  if (token === undefined || !(await equalSecrets(token, apiToken))) throw refused();
}

/** In a time that tells nothing of where they differ: their digests are compared, all bytes of them. */
async function equalSecrets(given: string, expected: string): Promise<boolean> {
  const [a, b] = await Promise.all([given, expected].map(sha256));
  if (a === undefined || b === undefined) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

function refused(detail = 'Send Authorization: Bearer <token>.'): Problem {
  return new Problem('unauthenticated', detail, { 'WWW-Authenticate': 'Bearer' });
}
