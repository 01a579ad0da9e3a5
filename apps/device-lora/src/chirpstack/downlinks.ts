import { AntirioError, toBase64, utf8, uuidV5, type Clock } from '@antirio/kernel';
import { repeat, type Log } from '@antirio/host';
import type { DevEui } from '@antirio/lorawan';
import type { Downlink, DownlinkStore, NewDownlink } from '../downlink/store.ts';
import type { DeviceOptions } from '../options.ts';
import type { DownlinkEvent } from './event.ts';

export interface ChirpStackDownlinksPorts {
  readonly store: DownlinkStore;
  readonly devices: ReadonlyMap<DevEui, DeviceOptions>;
  /** ChirpStack's application of a device; undefined before its first event. */
  readonly applicationOf: (devEui: DevEui) => string | undefined;
  /** Resolves when the broker has it; undefined where there is none to give it to. */
  readonly publish: ((topic: string, payload: string) => Promise<void>) | undefined;
  readonly topicPrefix: string;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Downlinks that ChirpStack sends: queued here, handed over by its MQTT integration, closed by what it tells. */
export interface ChirpStackDownlinks {
  /** @throws AntirioError busy | tooLarge | locked */
  queue(downlink: NewDownlink, how: { readonly replaces: boolean }): Downlink;
  /** @throws AntirioError locked where no downlink can go by ChirpStack */
  checkMaySend(): void;
  /** What one waits for; undefined where it is at its end. */
  waitsFor(downlink: Downlink): string | undefined;
  told(device: DeviceOptions, event: DownlinkEvent): void;
  poke(): void;
  counts(): Readonly<Record<string, number>>;
  close(): Promise<void>;
}

// ids of the same downlink must be the same after a kill, or ChirpStack would queue it twice
const ITEM_NAMESPACE = '0c0e3f0b-7d38-5d39-9a6e-1f6c8c2f9a41';
const MAX_OPEN = 16;
const LONGEST = 242;
const KEPT = 50;
const EVERY_MS = 5000;

/** The id that ChirpStack knows a downlink by. */
export function itemIdOf({ id, devEui, createdAt }: Pick<Downlink, 'id' | 'devEui' | 'createdAt'>): string {
  return uuidV5(ITEM_NAMESPACE, utf8(`${devEui}/${id}/${createdAt}`));
}

const isOpen = ({ state, confirmed }: Downlink): boolean =>
  state === 'queued' || state === 'sending' || (state === 'sent' && confirmed);

export function createChirpStackDownlinks(ports: ChirpStackDownlinksPorts): ChirpStackDownlinks {
  const { store, devices, applicationOf, publish, topicPrefix, clock, log } = ports;
  const counted: Record<string, number> = {};
  const count = (what: string): void => {
    counted[what] = (counted[what] ?? 0) + 1;
  };
  const end = (one: Downlink, state: 'acknowledged' | 'failed', error?: string): void => {
    store.update(one.id, { state, error }, clock.now());
    count(state);
  };

  const handOver = async (one: Downlink): Promise<void> => {
    const application = applicationOf(one.devEui);
    if (application === undefined || publish === undefined) return;
    const { devEui, confirmed, fPort, payload } = one;
    const topic = `${topicPrefix}application/${application}/device/${devEui}/command/down`;
    const command = { id: itemIdOf(one), devEui, confirmed, fPort, data: toBase64(payload) };
    await publish(topic, JSON.stringify(command));
    // it may have been told of already
    if (store.open(devEui).some(({ id, state }) => id === one.id && state === 'queued')) {
      store.update(one.id, { state: 'sending', attempts: 1 }, clock.now());
      count('handedOver');
    }
  };
  const giveUpOld = (open: readonly Downlink[]): void => {
    const now = clock.now();
    for (const one of open)
      if (one.state !== 'queued' && now - one.updatedAt > ports.timeoutMs)
        end(one, 'failed', `ChirpStack told nothing of it for ${Math.round(ports.timeoutMs / 1000)} s`);
  };
  const work = repeat('handing downlinks to ChirpStack', EVERY_MS, log, async () => {
    for (const devEui of store.waiting()) {
      if (!devices.has(devEui)) continue;
      const open = store.open(devEui);
      giveUpOld(open);
      for (const one of open) if (one.state === 'queued') await handOver(one);
    }
  });

  /** The one that an event is about: by its id, or as v3 tells none, by its counter, else the oldest that it can be. */
  const find = ({ devEui, itemId, fcnt, kind }: DownlinkEvent): Downlink | undefined => {
    if (itemId !== undefined)
      return store.latest(devEui, KEPT).find((one) => itemIdOf(one) === itemId.toLowerCase());
    const open = store.open(devEui).filter(({ state }) => state !== 'queued');
    if (kind === 'txack') return open.find(({ state }) => state === 'sending');
    return open.find((one) => one.fcnt === fcnt) ?? open.find(({ confirmed }) => confirmed);
  };
  const settle = (one: Downlink, { kind, fcnt, acknowledged, why }: DownlinkEvent): void => {
    if (kind === 'lost') end(one, 'failed', why);
    else if (kind === 'txack') {
      store.update(one.id, { state: 'sent', fcnt }, clock.now());
      count('sent');
    } else if (acknowledged) end(one, 'acknowledged');
    else end(one, 'failed', 'the device did not acknowledge it, and ChirpStack gave it up');
  };
  const checkMaySend = (): void => {
    if (publish === undefined)
      throw new AntirioError(
        'locked',
        "downlinks to ChirpStack's devices go by its MQTT integration: configure deviceLora.chirpStack.mqtt",
      );
  };
  return {
    checkMaySend,
    queue(downlink, { replaces }) {
      checkMaySend();
      const { length } = downlink.payload;
      if (length > LONGEST)
        throw new AntirioError('tooLarge', `a downlink has at most ${LONGEST} bytes`, { bytes: length });
      const open = store.open(downlink.devEui);
      // what ChirpStack has, it sends
      const older = open.filter(
        ({ resource, state }) => replaces && resource === downlink.resource && state === 'queued',
      );
      for (const one of older) end(one, 'failed', 'replaced');
      if (open.length - older.length >= MAX_OPEN)
        throw new AntirioError('busy', `${MAX_OPEN} downlinks wait for this device already`);
      const added = store.add(downlink, clock.now());
      work.poke();
      return added;
    },
    waitsFor(downlink) {
      if (!isOpen(downlink)) return undefined;
      if (downlink.state === 'sent') return "the device's acknowledgement, which ChirpStack tells";
      if (downlink.state === 'sending') return "its turn in ChirpStack's queue";
      return applicationOf(downlink.devEui) === undefined
        ? "the device's first event, which tells its application in ChirpStack"
        : "ChirpStack's broker";
    },
    told(_device, event) {
      const one = find(event);
      if (one === undefined) count('ofOthers');
      else if (isOpen(one)) settle(one, event);
    },
    poke: () => work.poke(),
    counts: () => ({ ...counted }),
    close: () => work.stop(),
  };
}
