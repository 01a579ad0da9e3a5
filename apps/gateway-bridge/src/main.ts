import { createMqttBus } from '@antirio/bus';
import { createLog, httpPeer, loadConfig, runAlone, systemClock, systemRandom } from '@antirio/host';
import { z } from 'zod';
import { createGatewayBridge, gatewayBridgeOptions } from './index.ts';

const schema = gatewayBridgeOptions.extend({
  broker: z.string().default('mqtt://127.0.0.1:1883'),
  edge2edge: z.string().default('http://127.0.0.1:59706'),
});

const log = createLog('gateway-bridge');
await runAlone(log, () => {
  const { broker, edge2edge, ...options } = loadConfig(schema, {
    file: process.argv[2],
    env: { prefix: 'ANTIRIO_GATEWAY_BRIDGE', values: process.env },
  });
  const bus = createMqttBus({ url: broker }, log);
  const peers = { edge2edge: httpPeer({ url: edge2edge }) };
  const room = createGatewayBridge(options, { clock: systemClock, random: systemRandom, log, bus, peers });
  const stop = async (): Promise<void> => {
    await room.stop();
    await bus.close();
    peers.edge2edge.close();
  };
  return { name: room.name, start: () => room.start(), stop, health: () => room.health() };
});
