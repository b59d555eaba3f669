/** A router's isolate around the production group client: its clients share calls, and some of their handlers are cut off. */
import { GroupClient } from '../../src/router/group.ts';
import type { RouterPlatform } from '../../src/router/platform.ts';
import type { Read } from '../../src/router/read.ts';
import type { Write } from '../../src/router/write.ts';
import { Handlers } from '../router/handlers.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/** Each client's request is a handler of its own, which may be cut off while the others go on. */
class HandledClient extends GroupClient {
  readonly handlers: Handlers;

  constructor(platform: RouterPlatform, hints: readonly string[], coalescing: boolean) {
    const handlers = new Handlers();
    super(handlers.platform(platform), hints, coalescing);
    this.handlers = handlers;
  }

  override write(group: string, request: Write) {
    return this.handlers.begin(() => super.write(group, request)).answer;
  }

  override read(group: string, request: Read) {
    return this.handlers.begin(() => super.read(group, request)).answer;
  }
}

/** A router's isolate; `restart` forgets everything, or cuts off some handlers: answers to what was under way never come. */
export class SimRouter {
  readonly #world: World;
  readonly #hints: readonly string[];
  readonly #coalescing: boolean;
  readonly name: string;
  readonly #random: Random;
  /** Decides what a restart is; nothing else draws from it. */
  readonly #fate: Random;
  /** Difference of its clock from true time, ms. */
  clockOffsetMs = 0;
  #life = 0;
  #client: HandledClient;

  constructor(world: World, name: string, hints: readonly string[], coalescing = true) {
    this.#world = world;
    this.name = name;
    this.#hints = hints;
    this.#coalescing = coalescing;
    this.#random = world.stream(name);
    this.#fate = world.stream(`${name} restarts`);
    this.#client = this.#start();
  }

  get client(): GroupClient {
    return this.#client;
  }

  #start(): HandledClient {
    const { scheduler } = this.#world;
    const random = this.#random;
    this.#life += 1;
    const life = this.#life;
    const alive = (run: () => void): void => {
      if (life === this.#life) run();
    };
    return new HandledClient(
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
      this.#coalescing,
    );
  }

  restart(): void {
    if (this.#fate.chance(0.5)) {
      this.#world.note(this.name, 'isolate restarted');
      this.#client = this.#start();
      return;
    }
    const lost = this.#client.handlers.underWay.filter(() => this.#fate.chance(0.5));
    this.#world.note(this.name, 'handlers cut off', `${lost.length}`);
    for (const handler of lost) handler.cutOff();
  }
}
