/** What an isolate makes of one environment, once: checked settings, and the group client. */
import type { Context } from 'hono';
import type { Env } from './env.ts';
import { GroupClient } from './group.ts';
import type { RouterPlatform } from './platform.ts';
import { Problem } from './problem.ts';
import { parseSettings, type Settings, SettingsError } from './settings.ts';
import type { Target } from './target.ts';

export interface Service {
  readonly settings: Settings;
  readonly groups: GroupClient;
  readonly platform: RouterPlatform;
}

export type RouterEnv = { Bindings: Env; Variables: { service: Service; target: Target } };
export type RouterRequest = Context<RouterEnv>;

/** Throws the 500 problem on bad settings, each time it is asked. */
export function services(makePlatform: (env: Env) => RouterPlatform): (env: Env) => Service {
  const made = new WeakMap<Env, Service>();
  return (env) => {
    const known = made.get(env);
    if (known !== undefined) return known;
    const settings = settingsOf(env);
    const platform = makePlatform(env);
    const service = { settings, platform, groups: new GroupClient(platform, settings.peers, settings.coalescing) };
    made.set(env, service);
    return service;
  };
}

function settingsOf(env: Env): Settings {
  try {
    return parseSettings(env);
  } catch (error) {
    if (error instanceof SettingsError) throw new Problem('invalid_configuration', error.message);
    throw error;
  }
}

/** Lets work that was begun for a client go on when the client hangs up: others may wait for how it ends. */
export function keepAlive<T>(c: RouterRequest, work: Promise<T>): Promise<T> {
  try {
    c.executionCtx.waitUntil(work.catch(() => {}));
  } catch {
    // Outside of Workers there is no such context, and nothing is cut off.
  }
  return work;
}
