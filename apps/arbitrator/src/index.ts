export { arbitratorOptions, type ArbitratorOptions, type ArbitratorPorts } from './options.ts';
export { createArbitrator } from './arbitrator.ts';
export { performCall, type CallDependencies } from './party-calls.ts';
