import type { Service } from '@antirio/host';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import { createCentralArbitrator } from './central-arbitrator.ts';
import { createEdgeArbitrator } from './edge-arbitrator.ts';

export function createArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  return options.role === 'central'
    ? createCentralArbitrator(options, ports)
    : createEdgeArbitrator(options, ports);
}
