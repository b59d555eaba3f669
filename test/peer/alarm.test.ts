import { expect, test } from 'vitest';
import { Alarm } from '../../src/peer/alarm.ts';
import { MonotonicClock, type Platform } from '../../src/peer/platform.ts';

/** An alarm by a clock that the test moves, and what it asked the platform for. */
function alarmAt(startMs: number) {
  const time = { nowMs: startMs };
  const asked: number[] = [];
  const platform = {
    now: () => time.nowMs,
    setAlarm: (atMs: number) => void asked.push(atMs),
    sync: async () => {},
  } as unknown as Platform;
  return { time, asked, alarm: new Alarm(platform, new MonotonicClock(platform.now)) };
}

test('the first deadline sets it; a later one does not move it, since it fires and looks', () => {
  const { asked, alarm } = alarmAt(1000);
  alarm.require(1500, false);
  alarm.require(1900, false);
  expect(asked).toEqual([1500]);
});

test('when it has fired, it is set for the deadline that is left', () => {
  const { time, asked, alarm } = alarmAt(1000);
  alarm.require(1500, false);
  time.nowMs = 1500;
  alarm.fire(1500);
  alarm.require(1900, false);
  expect(asked).toEqual([1500, 1900]);
});

test('one that fires early, by this clock, is not set for its own time: the platform would take it for the one that runs', () => {
  const { time, asked, alarm } = alarmAt(1000);
  alarm.require(1500, false);
  time.nowMs = 1499;
  alarm.fire(1500);
  alarm.require(1500, false);
  expect(asked).toEqual([1500, 1501]);
});

test('nor by an instance that the alarm itself has started', () => {
  const { asked, alarm } = alarmAt(1499);
  alarm.fire(1500);
  alarm.require(1500, false);
  expect(asked).toEqual([1501]);
});

test('never for the present time, and in whole milliseconds', () => {
  const { asked, alarm } = alarmAt(1000);
  alarm.require(999.5, false);
  expect(asked).toEqual([1001]);
});

test('a clock that goes back moves deadlines with it', () => {
  const { time, asked, alarm } = alarmAt(10_000);
  time.nowMs = 4000;
  alarm.require(10_500, false);
  expect(asked).toEqual([4500]);
});
