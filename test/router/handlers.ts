/**
 * What the runtime does to a request's handler once it has answered, and may do at any moment: end it. Its timers do not fire, its
 * calls do not come back, what others hand to it is dropped; no `finally` runs, and nobody is told. The isolate, and all other
 * handlers, go on.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { RouterPlatform } from '../../src/router/platform.ts';

export interface Handler<T = unknown> {
  /** Never settles once the handler was cut off. */
  readonly answer: Promise<T>;
  cutOff(): void;
}

export class Handlers {
  readonly #current = new AsyncLocalStorage<{ alive: boolean }>();
  readonly #underWay = new Set<Handler>();

  /** Those whose answer has not come, in the order in which they began. */
  get underWay(): readonly Handler[] {
    return [...this.#underWay];
  }

  begin<T>(work: () => Promise<T>): Handler<T> {
    const life = { alive: true };
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const cutOff = (): void => {
      life.alive = false;
      this.#underWay.delete(handler);
    };
    const handler: Handler<T> = { answer: promise, cutOff };
    const last = (run: () => void): void => {
      if (life.alive) run();
      cutOff();
    };
    this.#underWay.add(handler);
    this.#current.run(life, work).then(
      (result) => last(() => resolve(result)),
      (error) => last(() => reject(error)),
    );
    return handler;
  }

  /** `platform` as handlers see it. What is done outside of a handler is not touched. */
  platform(platform: RouterPlatform): RouterPlatform {
    return {
      ...platform,
      setTimer: (delayMs, run) => platform.setTimer(delayMs, this.#bound(run)),
      call: (...request) =>
        new Promise((resolve, reject) => {
          this.#bound(() => {
            platform.call(...request).then(this.#bound(resolve), this.#bound(reject));
          })();
        }),
      handoff: (run) => this.#bound(run),
    };
  }

  /** `run`, as long as the handler that is under way now has not been cut off. */
  #bound<A extends unknown[]>(run: (...values: A) => void): (...values: A) => void {
    const life = this.#current.getStore();
    return (...values) => {
      if (life?.alive !== false) run(...values);
    };
  }
}
