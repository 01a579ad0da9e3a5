// The drone of use case 2, for tests.
export { runDroneDemo, type DroneResult } from './run.ts';
