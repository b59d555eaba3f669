import { createKeyValueStore } from './kv/key-value-store.ts';
import { definePeer } from './peer/durable-object.ts';
import { createApp } from './router/app.ts';
import type { Env } from './router/env.ts';
import { parseSettings } from './router/settings.ts';

/** A peer of a group that replicates the key-value store. */
export const KeyValuePeer = definePeer<Env>(createKeyValueStore, parseSettings);

export default createApp();
