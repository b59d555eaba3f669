/**
 * The HTTP API as one Hono app. Each request passes, in this order:
 *
 *     settings (500) ─▶ preflight (204) ─▶ /healthz ─▶ token (401) ─▶ group name (400)
 *       ─▶ path, query (400) ─▶ method (405) ─▶ headers, body (400, 408, 413) ─▶ the group
 *
 * What is wrong with the request itself is found without asking the group; only then, and only for groups that must have
 * been created, it is asked whether it exists, since 404 `no_such_group` comes before all that.
 */
import { Hono } from 'hono';
import { authenticate } from './auth.ts';
import { getCluster, getHealth } from './cluster-routes.ts';
import { nameOrigin, preflight } from './cors.ts';
import type { Env } from './env.ts';
import { DEFAULT_GROUP } from './founding.ts';
import { deleteGroup, postFault, postGroup } from './group-routes.ts';
import { handleKeys } from './key-value-routes.ts';
import { getMetrics } from './metrics.ts';
import type { RouterPlatform } from './platform.ts';
import { failureProblem, invalid, Problem } from './problem.ts';
import { type RouterEnv, type RouterRequest, services } from './service.ts';
import { parseTarget } from './target.ts';
import { workersPlatform } from './workers-platform.ts';

/** Its state (settings, what is remembered of groups) belongs to the environment that comes with each request. */
export function createApp(makePlatform: (env: Env) => RouterPlatform = workersPlatform): Hono<RouterEnv> {
  const serviceOf = services(makePlatform);
  // Routes are chosen by what the raw path means, not by a decoded path.
  const app = new Hono<RouterEnv>({ getPath: (request) => `/${parseTarget(request.url).route.name}` });

  app.use(async (c, next) => {
    await next();
    const { headers } = c.res;
    headers.set('Cache-Control', 'no-store');
    headers.set('X-Content-Type-Options', 'nosniff');
    const service = c.get('service');
    if (service !== undefined) nameOrigin(headers, service.settings, c.req.raw.headers.get('Origin'));
  });

  app.use(async (c, next) => {
    c.set('target', parseTarget(c.req.url));
    c.set('service', serviceOf(c.env));
    if (c.req.method === 'OPTIONS') return preflight();
    const { route, groupIsValid } = c.get('target');
    if (route.name !== 'healthz') {
      await authenticate(c.get('service').settings, c.req.raw.headers.get('Authorization'));
    }
    if (!groupIsValid) throw invalid('A group has a name of 1 to 64 of A-Z a-z 0-9 _ -.');
    return next();
  });

  app.get('/healthz', getHealth).all(onlyMethods('GET, HEAD, OPTIONS'));
  app.get('/cluster', getCluster).all(onlyMethods('GET, HEAD, OPTIONS'));
  app.get('/metrics', getMetrics).all(onlyMethods('GET, HEAD, OPTIONS'));
  app.post('/group', postGroup).delete(deleteGroup).all(onlyMethods('POST, DELETE, OPTIONS'));
  app.all('/*', (c) => handleTarget(c));

  app.onError((error, c) => answerError(error, c));
  return app;
}

function onlyMethods(allow: string): () => never {
  return () => {
    throw new Problem('method_not_allowed', `Allowed: ${allow}.`, { Allow: allow });
  };
}

function handleTarget(c: RouterRequest): Promise<Response> {
  const { route } = c.get('target');
  switch (route.name) {
    case 'kv':
      return handleKeys(c, route.key);
    case 'chaos':
      return postFault(c, route.peer);
    case 'malformed':
      throw invalid(route.detail);
    default:
      throw new Problem('no_such_route', 'There is no such route.');
  }
}

async function answerError(error: Error, c: RouterRequest): Promise<Response> {
  if (error instanceof Problem) return (await groupIsMissing(error, c)) ?? error.response();
  const { name, message, stack } = error;
  console.error({ level: 'error', event: 'request_failed', name, message, stack });
  return new Problem('internal_error', 'The request failed; the log says why.').response();
}

/** A group that was never created is said to be missing before anything is said about the request. */
async function groupIsMissing(problem: Problem, c: RouterRequest): Promise<Response | null> {
  const target = c.get('target');
  if (!problem.isAboutTheRequest || !target?.groupIsValid || target.group === DEFAULT_GROUP) return null;
  const existence = await c.get('service').groups.existence(target.group);
  return existence === 'missing' ? failureProblem({ type: 'no_such_group' }).response() : null;
}
