/** The clerk library's public names. */
export {
  type CallOptions,
  Clerk,
  type ClerkOptions,
  DEFAULT_TIMEOUT_MS,
  DEFAULT_TRY_TIMEOUT_MS,
  type DeleteResult,
  type Found,
  type GetResult,
  type ListOptions,
  type Missing,
  type ReadOptions,
  type WriteOptions,
  type WriteResult,
} from './clerk.ts';
export {
  ClerkError,
  type ClerkErrorCode,
  type FailedOutcome,
  OutcomeUnknownError,
  PreconditionFailedError,
} from './errors.ts';
export type { Listing, Page } from './listing.ts';
export { type ClerkPlatform, defaultPlatform } from './platform.ts';
export type { Conditions } from './request.ts';
export type { ClerkFetch, ClerkResponse } from './try.ts';
export type { StoredValue } from './value.ts';
