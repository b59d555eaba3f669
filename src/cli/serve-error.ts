/** What went wrong is in its message, for whoever typed the command. */
export class ServeError extends Error {
  override readonly name = 'ServeError';
}
