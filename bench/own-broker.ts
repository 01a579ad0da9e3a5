import { createBroker, createLocalBus } from '@antirio/bus';
import { createLog, systemClock, systemRandom, type Bus, type Log } from '@antirio/host';
import type { Clock, Random } from '@antirio/kernel';

/** What services get that run in one process with their MQTT broker. */
export interface OwnBroker {
  readonly ports: { readonly clock: Clock; readonly random: Random; readonly log: Log; readonly bus: Bus };
  /** The broker's TCP port. */
  readonly mqtt: number;
}

/** A broker of this process, with a bus inside it; and the process ends with the one that started it. */
export async function startOwnBroker(): Promise<OwnBroker> {
  const log = createLog('core', 'warn');
  const broker = createBroker(
    {
      secret: systemRandom.bytes(32),
      listeners: [{ port: 0, bind: '127.0.0.1', anonymous: 'loopback' }],
    },
    log,
  );
  await broker.start();
  // whoever started it may be killed: nothing stays behind
  process.on('disconnect', () => process.exit(0));
  const bus = createLocalBus(broker, log);
  return { ports: { clock: systemClock, random: systemRandom, log, bus }, mqtt: broker.ports[0] ?? 0 };
}
