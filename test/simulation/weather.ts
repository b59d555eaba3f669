/** The network's, the disks' and the alarms' state at the moment; the nemesis turns it. Probabilities, ms. */
export interface Weather {
  dropRate: number;
  duplicateRate: number;
  minDelayMs: number;
  maxDelayMs: number;
  /** This share of messages takes up to 2.2 s. */
  longDelayRate: number;
  minFlushMs: number;
  maxFlushMs: number;
  alarmJitterMs: number;
}

export const CALM: Weather = {
  dropRate: 0,
  duplicateRate: 0,
  minDelayMs: 0.2,
  maxDelayMs: 5,
  longDelayRate: 0,
  minFlushMs: 0.2,
  maxFlushMs: 5,
  alarmJitterMs: 2,
};
