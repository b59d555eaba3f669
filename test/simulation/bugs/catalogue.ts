/** All known bugs. Each must be caught by the simulator within its seeds; bugs.test.ts demands it. */
import type { Bug } from './bug.ts';
import { COMMIT_BUGS } from './commit-bugs.ts';
import { DISK_BUGS } from './disk-bugs.ts';
import { ELECTION_BUGS } from './election-bugs.ts';
import { QUIESCENCE_BUGS } from './quiescence-bugs.ts';
import { READ_BUGS } from './read-bugs.ts';
import { REPLICATION_BUGS } from './replication-bugs.ts';
import { ROUTER_BUGS } from './router-bugs.ts';
import { SESSION_BUGS } from './session-bugs.ts';
import { SNAPSHOT_BUGS } from './snapshot-bugs.ts';
import { WRITE_BEHIND_BUGS } from './write-behind-bugs.ts';

export const BUGS: readonly Bug[] = [
  ...ELECTION_BUGS,
  ...REPLICATION_BUGS,
  ...COMMIT_BUGS,
  ...READ_BUGS,
  ...SNAPSHOT_BUGS,
  ...DISK_BUGS,
  ...WRITE_BEHIND_BUGS,
  ...SESSION_BUGS,
  ...ROUTER_BUGS,
  ...QUIESCENCE_BUGS,
];
