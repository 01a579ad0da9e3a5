import { Counter, Gauge, type Registry } from 'prom-client';
import type { DownlinkSender } from './downlink/sender.ts';
import type { MacLayer } from './mac/mac-layer.ts';
import type { JoinServer } from './join/join-server.ts';
import type { UnservedJoins } from './join/unserved.ts';
import type { Sealing } from './seal/sealing.ts';
import type { Reader } from './uplink/reader.ts';

interface Counting {
  readonly reader: Reader;
  readonly sender: DownlinkSender;
  readonly mac: MacLayer;
  readonly joinServer: JoinServer | undefined;
  readonly sealing: Sealing | undefined;
  readonly unserved: UnservedJoins;
  readonly standsIn: boolean;
}

/** What was counted, read when it is asked for. */
export function addMetrics(
  registry: Registry,
  { reader, sender, mac, joinServer, sealing, unserved, standsIn }: Counting,
): void {
  const registers = [registry];
  const counts = (
    name: string,
    help: string,
    read: () => Readonly<Record<string, number | undefined>>,
  ): void => {
    new Counter({
      name: `antirio_lora_${name}_total`,
      help,
      labelNames: ['what'],
      registers,
      collect() {
        this.reset();
        for (const [what, value] of Object.entries(read())) this.inc({ what }, value ?? 0);
      },
    });
  };
  counts('frames', 'frames by what became of them, since the first start', () => reader.counts());
  counts('downlinks', 'downlinks by what became of them', () => sender.counts());
  counts('mac', 'MAC commands by what became of them', () => mac.counts());
  counts('joins', 'JoinRequests by what became of them, since the start', () => joinServer?.counts() ?? {});
  counts('joins_unserved', 'JoinRequests that could not be answered here, and devices that sent them', () =>
    standsIn || joinServer === undefined ? unserved.counts() : {},
  );
  counts(
    'sealed',
    'joins by whether providers had the session before the answer',
    () => sealing?.counts() ?? {},
  );
  new Gauge({
    name: 'antirio_lora_unsealed',
    help: 'sessions that a provider of a contract has not got',
    registers,
    collect() {
      this.set(sealing?.unsealed().length ?? 0);
    },
  });
  new Gauge({
    name: 'antirio_lora_behind',
    help: 'frames of the ring that are not done with',
    registers,
    collect() {
      this.set(reader.behind);
    },
  });
}
