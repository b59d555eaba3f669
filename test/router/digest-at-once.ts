/** The engine's own digest comes from another thread, for which simulated time does not wait. */
import { createHash } from 'node:crypto';
import { vi } from 'vitest';

/** Until mocks are restored. */
export function digestAtOnce(): void {
  vi.spyOn(crypto.subtle, 'digest').mockImplementation(async (_, bytes) => {
    const { buffer } = new Uint8Array(
      createHash('sha256')
        .update(bytes as Uint8Array)
        .digest(),
    );
    return buffer;
  });
}
