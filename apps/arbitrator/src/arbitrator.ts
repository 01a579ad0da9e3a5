import type { Service } from '@antirio/host';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import { createCentralArbitrator } from './central-arbitrator.ts';
import { createCloudArbitrator } from './cloud-arbitrator.ts';
import { createEdgeArbitrator } from './edge-arbitrator.ts';

export function createArbitrator(options: ArbitratorOptions, ports: ArbitratorPorts): Service {
  switch (options.role) {
    case 'central':
      return createCentralArbitrator(options, ports);
    case 'cloud':
      return createCloudArbitrator(options, ports);
    case 'edge':
      return createEdgeArbitrator(options, ports);
  }
}
