// Parts of the simulation, for benchmarks.
export { measureAvailability, type Availability, type AvailabilityOptions } from './availability.ts';
export {
  burstLoss,
  countFalsePositives,
  independentLoss,
  type FalsePositives,
  type FalsePositiveOptions,
} from './false-positives.ts';
