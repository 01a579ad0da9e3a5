export { DemoError } from './errors.ts';
export { completeOptions } from './options.ts';
export { runDemo } from './run-demo.ts';
export type { DemoErrorCode } from './errors.ts';
export type { DemoOptions, DemoOptionsInput, Sabotage } from './options.ts';
export type { DemoPorts } from './run-demo.ts';
export type { DemoReport, DemoResult, Handback, SettlementFigures, TakeoverMs } from './result.ts';
export type { Stage } from './stage.ts';
export type { RefusedFigures, UplinkFigures } from './uplink-verdict.ts';
