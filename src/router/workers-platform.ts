/** The group client's seams in production: stubs of Durable Objects, and the Worker's clock, timers and randomness. */
import type { Env } from './env.ts';
import type { RouterPlatform } from './platform.ts';

export function workersPlatform({ PEER }: Env): RouterPlatform {
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    randomId: () => {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    },
    setTimer: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    call: async (objectName, locationHint, route, body, signal) => {
      // A new stub each time: one whose object was reset stays broken.
      const options = { locationHint: locationHint as DurableObjectLocationHint };
      const stub = PEER.get(PEER.idFromName(objectName), options);
      const response = await stub.fetch(`https://peer/${route}`, { method: 'POST', body, signal });
      // Read in any case: an unread body holds a connection.
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (response.status !== 200) throw new Error(`${route}: status ${response.status}`);
      return bytes;
    },
    log: (event) => console.log(event),
  };
}
