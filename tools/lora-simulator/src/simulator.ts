import type { Agenda } from './agenda.ts';
import type { Clock } from './clock.ts';
import type { SimulatorConfig, SimulatorConfigInput } from './config.ts';
import type { Device, OtaaDevice } from './devices.ts';
import type { DownlinkAir, DownlinkTotals } from './downlink-air.ts';
import type { Fleet } from './fleet.ts';
import type { Gateway, GatewayCounters } from './gateway.ts';
import type { MacParameters } from './mac-parameters.ts';
import type { Mote } from './mote.ts';
import type { Point, Position } from './positions.ts';
import type { Propagation } from './propagation.ts';
import type { Traffic } from './traffic.ts';
import type { TrafficClock } from './traffic-clock.ts';
import type { TruthLog } from './truth.ts';
import type { UplinkAir, UplinkTotals } from './uplink-air.ts';
import { createAgenda } from './agenda.ts';
import { systemClock } from './clock.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { createDownlinkAir } from './downlink-air.ts';
import { SimulatorError } from './errors.ts';
import { createFleet } from './fleet.ts';
import { openGateway } from './gateway.ts';
import { createPropagation } from './propagation.ts';
import { createTraffic } from './traffic.ts';
import { createTrafficClock } from './traffic-clock.ts';
import { noTruthLog } from './truth.ts';
import { createUplinkAir } from './uplink-air.ts';

export type SimulatorState = 'idle' | 'running' | 'paused' | 'stopped';

/** Where a simulation stands. */
export interface SimulatorStatus {
  readonly state: SimulatorState;
  readonly motes: number;
  /** Transmissions by kind; `uplink` counts each frame of a mote once. */
  readonly transmissions: UplinkTotals;
  readonly downlinks: DownlinkTotals;
  readonly gateways: readonly (GatewayCounters & { id: string; host: string; port: number })[];
}

/** Where one mote stands. */
export interface MoteStatus {
  readonly devEui: string;
  readonly name: string;
  readonly joined: boolean;
  /** Of its session; null where it has none. */
  readonly devAddr: string | null;
  /** Joins so far. */
  readonly session: number | null;
  /** The counter of its next uplink. */
  readonly fcntUp: number;
  readonly parameters: MacParameters;
  /** Metres; null where nothing has a position. */
  readonly position: Point | null;
}

/** A running simulation of motes, radio and gateways. */
export interface Simulator {
  readonly devices: readonly (Device | OtaaDevice)[];
  /** Lets the motes send; also after a pause. No effect once traffic was stopped. */
  start(): void;
  /** Motes and attackers fall silent; gateways stay connected. */
  pause(): void;
  /** Ends the traffic for good; resolves when nothing is on its way any more (at most the acknowledgement wait). */
  stopTraffic(): Promise<SimulatorStatus>;
  /** Throws `unknownGateway`, `badTarget`. */
  retarget(gatewayId: string, host: string, port: number): Promise<void>;
  /** Changes a gateway's loss probabilities (0..1). Throws `unknownGateway`, `badConfig`. */
  setLoss(gatewayId: string, loss?: number, downlinkLoss?: number): void;
  /**
   * An OTAA mote, by DevEUI or name, leaves its session and joins again; all of them where none is named. Throws
   * `unknownMote`, `notOtaa`.
   */
  rejoin(mote?: string): void;
  /** Throws `unknownMote`, `noPositions`, `badCommand`. */
  moveMote(mote: string, position: Position): void;
  /** Throws `unknownGateway`, `noPositions`, `badCommand`. */
  moveGateway(gatewayId: string, position: Position): void;
  /** How a mote stands. Throws `unknownMote`. */
  mote(mote: string): MoteStatus;
  status(): SimulatorStatus;
  /** Ends everything and closes the truth log. */
  close(): void;
}

/** What a simulation is given from outside. */
export interface SimulatorPorts {
  readonly truth?: TruthLog;
  readonly clock?: Clock;
}

const DRAIN_ACK_WAIT_MS = 2_000;
const DRAIN_POLL_MS = 20;
const LONGEST_TURN_MS = 5;

class RadioSimulator implements Simulator {
  readonly devices: readonly (Device | OtaaDevice)[];
  readonly #clock: Clock;
  readonly #truth: TruthLog;
  readonly #agenda: Agenda;
  readonly #traffic: Traffic;
  readonly #trafficClock: TrafficClock;
  readonly #fleet: Fleet;
  readonly #propagation: Propagation;
  readonly #gateways = new Map<string, Gateway>();
  readonly #uplinks: UplinkAir;
  readonly #downlinks: DownlinkAir;
  #trafficTimer: NodeJS.Timeout | undefined;
  #state: SimulatorState = 'idle';
  #isClosed = false;

  constructor(config: SimulatorConfig, clock: Clock, truth: TruthLog) {
    this.devices = devicesOf(config);
    this.#clock = clock;
    this.#truth = truth;
    this.#agenda = createAgenda(clock);
    this.#traffic = createTraffic(config);
    this.#trafficClock = createTrafficClock(() => clock.monoMs());
    this.#fleet = createFleet(this.#traffic.motes);
    const devEuis = this.devices.map(({ devEui }) => devEui);
    this.#propagation = createPropagation(config, devEuis);
    const ports = {
      ...{ clock, truth, fleet: this.#fleet, gateways: this.#gateways },
      propagation: this.#propagation,
    };
    this.#uplinks = createUplinkAir({ ...ports, agenda: this.#agenda });
    this.#downlinks = createDownlinkAir({
      ...ports,
      onApplication: (mote, fPort) => {
        if (fPort === config.rejoinPort && mote.joining !== undefined) this.#rejoin(mote);
      },
    });
    const { seed, motes } = config;
    const gateways = config.gateways.map((gateway) => gateway.id);
    truth.append({ type: 'run', version: 1, ...this.#now(), seed, motes, gateways });
  }

  async openGateways(config: SimulatorConfig): Promise<void> {
    for (const gateway of config.gateways) {
      const opened = await openGateway(gateway, {
        seed: config.seed,
        radio: config.radio,
        clock: this.#clock,
        agenda: this.#agenda,
        truth: this.#truth,
        onAir: (id, downlink) => this.#downlinks.transmit(id, downlink),
      });
      this.#gateways.set(opened.id, opened);
    }
  }

  start(): void {
    if (this.#state === 'stopped' || this.#state === 'running') return;
    this.#state = 'running';
    this.#note('start');
    this.#trafficClock.start();
    this.#tick();
  }

  pause(): void {
    if (this.#state !== 'running') return;
    this.#state = 'paused';
    this.#note('pause');
    this.#trafficClock.pause();
    clearTimeout(this.#trafficTimer);
  }

  async stopTraffic(): Promise<SimulatorStatus> {
    if (this.#state !== 'stopped') this.#note('stopTraffic');
    this.#state = 'stopped';
    this.#traffic.stop();
    clearTimeout(this.#trafficTimer);
    const { promise, resolve } = Promise.withResolvers<SimulatorStatus>();
    const check = (): void => {
      if (this.#isClosed || this.#isDrained()) resolve(this.status());
      else setTimeout(check, DRAIN_POLL_MS);
    };
    check();
    return promise;
  }

  async retarget(gatewayId: string, host: string, port: number): Promise<void> {
    await this.#gateway(gatewayId).retarget(host, port);
    this.#note('gatewayTarget', { gateway: gatewayId, host, port });
  }

  setLoss(gatewayId: string, loss?: number, downlinkLoss?: number): void {
    for (const ratio of [loss, downlinkLoss]) {
      if (ratio !== undefined && !(ratio >= 0 && ratio <= 1)) {
        throw new SimulatorError('badConfig', `loss must be from 0 to 1, got ${String(ratio)}`);
      }
    }
    this.#gateway(gatewayId).setLoss(loss, downlinkLoss);
    this.#note('gatewayLoss', { gateway: gatewayId, loss, downlinkLoss });
  }

  rejoin(name?: string): void {
    const motes = name === undefined ? this.#traffic.motes : [this.#fleet.named(name)];
    const otaa = motes.filter((mote) => mote.joining !== undefined);
    if (otaa.length === 0) {
      throw new SimulatorError('notOtaa', name === undefined ? 'no mote joins' : `${name} is an ABP mote`);
    }
    this.#note('rejoin', { mote: name });
    for (const mote of otaa) this.#rejoin(mote);
    if (this.#state === 'running') this.#tick();
  }

  moveMote(name: string, position: Position): void {
    const { device } = this.#fleet.named(name);
    this.#propagation.moveMote(device.devEui, position);
    this.#note('moveMote', { mote: device.devEui, position });
  }

  moveGateway(gatewayId: string, position: Position): void {
    const { id } = this.#gateway(gatewayId);
    this.#propagation.moveGateway(id, position);
    this.#note('moveGateway', { gateway: id, position });
  }

  mote(name: string): MoteStatus {
    const { device, session, fcntUp, parameters } = this.#fleet.named(name);
    return {
      devEui: device.devEui,
      name: device.name,
      joined: session !== undefined,
      devAddr: session?.devAddr ?? null,
      session: session?.number ?? null,
      fcntUp,
      parameters,
      position: this.#propagation.whereIs(device.devEui) ?? null,
    };
  }

  status(): SimulatorStatus {
    return {
      state: this.#state,
      motes: this.devices.length,
      transmissions: structuredClone(this.#uplinks.totals),
      downlinks: { ...this.#downlinks.totals },
      gateways: [...this.#gateways.values()].map(({ id, target, counters }) => ({
        id,
        host: target.address,
        port: target.port,
        ...counters,
      })),
    };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#trafficTimer);
    this.#agenda.close();
    for (const gateway of this.#gateways.values()) gateway.close();
    this.#truth.append({ type: 'end', ...this.#now() });
    this.#truth.close();
  }

  #now(): { at: number; wallNs: string } {
    const at = this.#clock.monoMs();
    return { at, wallNs: String(this.#clock.wallNs(at)) };
  }

  #note(command: string, details?: Record<string, unknown>): void {
    this.#truth.append({ type: 'command', command, ...this.#now(), ...(details && { details }) });
  }

  #gateway(id: string): Gateway {
    const gateway = this.#gateways.get(id.toLowerCase());
    if (gateway === undefined) throw new SimulatorError('unknownGateway', `there is no gateway ${id}`);
    return gateway;
  }

  #rejoin(mote: Mote): void {
    const devAddr = mote.session?.devAddr;
    this.#traffic.rejoin(mote, this.#trafficClock.now());
    if (mote.session === undefined) this.#fleet.left(mote, devAddr);
  }

  #tick(): void {
    clearTimeout(this.#trafficTimer);
    // Sockets and commands get their turn even where more is due than can be sent.
    const turnEndMs = this.#clock.monoMs() + LONGEST_TURN_MS;
    while (this.#isDue() && this.#clock.monoMs() < turnEndMs) {
      this.#trafficClock.slipTo(this.#traffic.nextAt());
      const transmission = this.#traffic.next();
      if (transmission !== undefined) this.#uplinks.transmit(transmission);
    }
    const waitMs = this.#traffic.nextAt() - this.#trafficClock.now();
    if (waitMs === Infinity || this.#isClosed) return;
    this.#trafficTimer = setTimeout(() => this.#tick(), Math.max(1, Math.ceil(waitMs)));
  }

  #isDue(): boolean {
    return this.#trafficClock.isRunning && this.#traffic.nextAt() <= this.#trafficClock.now();
  }

  #isDrained(): boolean {
    const now = this.#clock.monoMs();
    const { windowsEndMs } = this.#uplinks;
    if (now < windowsEndMs) return false;
    const pending = [...this.#gateways.values()].map((gateway) => gateway.pending);
    if (pending.some(({ frames, downlinks }) => frames + downlinks > 0)) return false;
    return pending.every(({ pushes }) => pushes === 0) || now > windowsEndMs + DRAIN_ACK_WAIT_MS;
  }
}

/**
 * Opens a simulation: gateways are connected, motes wait for `start`. Throws `badConfig`, `badTarget`; what was opened
 * by then is closed again.
 */
export async function createSimulator(
  input: SimulatorConfigInput,
  { truth = noTruthLog, clock = systemClock() }: SimulatorPorts = {},
): Promise<Simulator> {
  const config = parseConfig(input);
  const simulator = new RadioSimulator(config, clock, truth);
  try {
    await simulator.openGateways(config);
  } catch (error) {
    simulator.close();
    throw error;
  }
  return simulator;
}
