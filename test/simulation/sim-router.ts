/** A router's isolate around the production group client. */
import { GroupClient } from '../../src/router/group.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** A router's isolate; `restart` forgets everything, and answers to what was under way never come. */
export class SimRouter {
  readonly #world: World;
  readonly #hints: readonly string[];
  readonly name: string;
  readonly #random: Random;
  /** Difference of its clock from true time, ms. */
  clockOffsetMs = 0;
  #life = 0;
  client: GroupClient;

  constructor(world: World, name: string, hints: readonly string[]) {
    this.#world = world;
    this.name = name;
    this.#hints = hints;
    this.#random = world.stream(name);
    this.client = this.#start();
  }

  #start(): GroupClient {
    const { scheduler } = this.#world;
    const random = this.#random;
    this.#life += 1;
    const life = this.#life;
    const alive = (run: () => void): void => {
      if (life === this.#life) run();
    };
    return new GroupClient(
      {
        now: () => scheduler.nowMs + this.clockOffsetMs,
        random: () => random.float(),
        randomId: () => random.hex(32),
        setTimer: (delayMs, run) => scheduler.after(delayMs, () => alive(run)),
        call: (objectName, _hint, route, body, signal) =>
          new Promise((resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')));
            this.#world.request(this.name, objectName, route, body).then(
              (answer) => alive(() => resolve(answer)),
              (error) => alive(() => reject(error)),
            );
          }),
        log: (event) => this.#world.note(this.name, 'log', JSON.stringify(event)),
      },
      this.#hints,
    );
  }

  restart(): void {
    this.#world.note(this.name, 'isolate restarted');
    this.client = this.#start();
  }
}
