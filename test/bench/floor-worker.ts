/** Workers that answer a put as Edgeraft's does, and do nothing for it; each of the stages adds one thing to the one before. */

const DEADLINE_MS = 30_000;
const PATIENCE_MS = 200;
const BATCH_MS = 3;
const HEADERS_READ = ['Authorization', 'If-Match', 'If-None-Match', 'Clerk-Id', 'Clerk-Seq', 'Clerk-Acked', 'Origin'];

interface Env {
  readonly STAGE: string;
}

type Stage = (request: Request, context: ExecutionContext) => Response | Promise<Response>;

const STAGES: Readonly<Record<string, Stage>> = {
  empty: () => new Response(null),
  body: async (request) => written(await request.arrayBuffer()),
  api: (request, context) => worked(request, context, () => withTimeout(PATIENCE_MS, Promise.resolve())),
  shared: (request, context) => worked(request, context, ride),
};

function written(body: ArrayBuffer): Response {
  return Response.json({ revision: 1, version: body.byteLength }, { status: 201, headers: { ETag: '"1"' } });
}

/** What every write needs of the runtime: timers, headers, and to go on when its client hangs up. */
async function worked(request: Request, context: ExecutionContext, work: () => Promise<unknown>): Promise<Response> {
  const body = (await withTimeout(DEADLINE_MS, request.arrayBuffer())) ?? new ArrayBuffer(0);
  for (const name of HEADERS_READ) request.headers.get(name);
  const working = work();
  context.waitUntil(working);
  await working;
  const response = written(body);
  response.headers.set('Cache-Control', 'no-store');
  response.headers.set('X-Content-Type-Options', 'nosniff');
  return response;
}

let waiting: (() => void)[] | null = null;

/** The first waits for a moment, in place of a call; who comes meanwhile goes on when it does. */
async function ride(): Promise<void> {
  if (waiting !== null) {
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    await withTimeout(DEADLINE_MS, promise);
    return;
  }
  const passengers: (() => void)[] = [];
  waiting = passengers;
  await new Promise((resolve) => setTimeout(resolve, BATCH_MS));
  waiting = null;
  for (const goOn of passengers) goOn();
}

async function withTimeout<T>(timeoutMs: number, promise: Promise<T>): Promise<T | null> {
  const { promise: timeout, resolve } = Promise.withResolvers<null>();
  const timer = setTimeout(() => resolve(null), timeoutMs);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

export default {
  fetch: (request, env, context) => STAGES[env.STAGE]?.(request, context) ?? new Response(null, { status: 404 }),
} satisfies ExportedHandler<Env>;
