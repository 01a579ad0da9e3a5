export { composeFiles, findCompose, OVERRIDES, type ComposeCommand, type Override } from './compose.ts';
export { directionsOf, down, handover, up, type LabOptions } from './lab.ts';
export { containersOf, LAB_FAILURES, type LabFailure } from './lab-files.ts';
export { readState } from './lab-state.ts';
