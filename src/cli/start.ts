/**
 * `npm start`: a local group on `wrangler dev`, open to everyone on this machine, with /chaos. Two variables make it so, which only
 * this and `npm run serve` set: a deployed Worker has neither. Data stays in .wrangler/state. More arguments go to wrangler:
 * `npm start -- --port 9000`.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { checkSettings } from './settings-file.ts';

checkSettings();
const given = process.argv.slice(2);
const port = given.some((argument) => argument.startsWith('--port')) ? [] : ['--port', '8787'];
const wrangler = spawn(
  'wrangler',
  ['dev', '--show-interactive-dev-session=false', '--var', 'OPEN:on', '--var', 'CHAOS:on', ...port, ...given],
  // Nothing is sent anywhere: the group is local, and starts without a network.
  { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, WRANGLER_SEND_METRICS: 'false' } },
);

createInterface({ input: wrangler.stdout }).on('line', (line) => {
  console.log(line);
  const url = /Ready on (http\S+)/.exec(line)?.[1];
  if (url !== undefined) greet(url.replace(/\/$/, ''));
});

// Without a network wrangler complains of a file that only requests' geolocation would need, and goes on.
const GEOLOCATION = /Request\.cf|workers\.cloudflare\.com|GetAddrInfoReqWrap/;
createInterface({ input: wrangler.stderr }).on('line', (line) => {
  if (!GEOLOCATION.test(line)) console.error(line);
});

function greet(url: string): void {
  console.log(`
Edgeraft: a local group at ${url}

  curl -X PUT ${url}/kv/hello -d world
  curl ${url}/kv/hello
  curl ${url}/cluster
`);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => wrangler.kill(signal));
wrangler.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 0 : 1)));
