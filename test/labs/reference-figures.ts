/** What others need for the same tests: the course's own output, and a public Go solution, as measured on a machine like ours. */

/** From the lab pages of 2022 and 2026. */
export const COURSE_REFERENCE: Readonly<Record<string, string>> = {
  TestInitialElection3A: '3.5 s, 32 RPCs',
  TestReElection3A: '6.2 s, 68 RPCs',
  TestManyElections3A: '9.8 s, 684 RPCs',
  TestBasicAgree3B: '1.6 s, 18 RPCs',
  TestRPCBytes3B: '3.3 s, 50 RPCs',
  TestBackup3B: '28 s, 1,370 RPCs',
  TestCount3B: '2.7 s, 32 RPCs',
  TestFigure8Unreliable3C: '53.6 s, 3,200 RPCs',
  TestBasic4A: '15.5 s, 4,576 RPCs, 903 operations',
  TestSpeed4A: '15.7 s, 3,022 RPCs',
};

export const GO_SOLUTION: Readonly<Record<string, string>> = {
  TestRPCBytes3B: '167,017 B, 50 RPCs',
  TestBackup3B: '1,572 RPCs',
  TestCount3B: '51 RPCs',
  TestFigure8Unreliable3C: '4,363 RPCs',
  TestSpeed4A: '1.33 s, 5.1 RPCs an operation',
  TestSpeed4B: '0.75 s',
};
