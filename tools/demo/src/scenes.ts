// The parts of the demo, for tests that tell another story with the same cast.
export { agree, armed, letPass } from './contract.ts';
export { downlinksOnAir } from './downlinks.ts';
export { killParty, terminateParty } from './failure.ts';
export { actAgain, caughtUp, settle, takeBack } from './handback.ts';
export { letMotesBeHeard, raise } from './play.ts';
export { GATEWAYS } from './radio.ts';
export { judgeRadio } from './radio-judge.ts';
export { waiterFor } from './run-demo.ts';
export { prepareSetting, strike } from './setting.ts';
export { serve, watchTakeover } from './takeover.ts';
export { followContract } from './timelines.ts';
export { judge, unguardedSince } from './verdict.ts';
export { waitFor } from './wait.ts';
export type { PartyName } from './network.ts';
export type { ContractedRun, Run } from './run.ts';
export type { Setting } from './setting.ts';
export type { Look } from './wait.ts';
