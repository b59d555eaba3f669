/** Which browsers may call: those of the one configured origin, or all (`*`), or none. */
import type { Settings } from './settings.ts';

const ALLOW_METHODS = 'GET, HEAD, PUT, PATCH, DELETE, POST, OPTIONS';
const ALLOW_HEADERS = 'Authorization, Content-Type, If-Match, If-None-Match, Clerk-Id, Clerk-Seq, Clerk-Acked';
const EXPOSE_HEADERS = 'ETag, Raft-Revision, Raft-Age-Ms, Clerk-Replayed, Retry-After';
const MAX_AGE_SECONDS = '600';

export function preflight(): Response {
  return new Response(null, {
    status: 204,
    headers: {
      'Access-Control-Allow-Methods': ALLOW_METHODS,
      'Access-Control-Allow-Headers': ALLOW_HEADERS,
      'Access-Control-Max-Age': MAX_AGE_SECONDS,
      Vary: 'Origin',
    },
  });
}

/** Adds what a reply says about origins. */
export function nameOrigin(headers: Headers, { corsOrigin }: Settings, origin: string | null): void {
  if (corsOrigin === null) return;
  headers.set('Vary', 'Origin');
  if (corsOrigin !== '*' && corsOrigin !== origin) return;
  headers.set('Access-Control-Allow-Origin', corsOrigin);
  headers.set('Access-Control-Expose-Headers', EXPOSE_HEADERS);
}
