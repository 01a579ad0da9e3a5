// Parts of the simulation, for benchmarks.
export {
  burstLoss,
  countFalsePositives,
  independentLoss,
  type FalsePositives,
  type FalsePositiveOptions,
} from './false-positives.ts';
