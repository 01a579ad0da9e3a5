import type { SimulatorConfig } from './config.ts';
import type { Coordinates, Point, Position } from './positions.ts';
import { SimulatorError } from './errors.ts';
import { distanceM, isCoordinates, pointInDisc, pointOf } from './positions.ts';
import { createRandom, deriveBytes } from './random.ts';

/** What the distance makes of a signal between a mote and a gateway; the same in both directions. */
export interface Propagation {
  /** Power that arrives, dBm, of one sent with `powerDbm` EIRP; undefined where nothing has a position. */
  receivedDbm(gatewayId: string, devEui: string, powerDbm: number): number | undefined;
  /** Where a mote is, metres; undefined where nothing has a position. */
  whereIs(devEui: string): Point | undefined;
  /** Throws `noPositions`, and `badCommand` where the other positions are in another unit. */
  moveMote(devEui: string, position: Position): void;
  /** Throws `noPositions`, and `badCommand` where the other positions are in another unit. */
  moveGateway(gatewayId: string, position: Position): void;
}

const noPositions = (): never => {
  throw new SimulatorError(
    'noPositions',
    'nothing has a position: give each gateway one in the configuration',
  );
};

const NOWHERE: Propagation = {
  receivedDbm: () => undefined,
  whereIs: () => undefined,
  moveMote: noPositions,
  moveGateway: noPositions,
};

const REFERENCE_M = 1_000;
const NEAREST_M = 1;

// Standard normal of two uniform 32-bit draws (Box and Muller, 1958).
function gaussian(seed: string, label: string): number {
  const bytes = deriveBytes(seed, label, 8);
  const first = (bytes.readUInt32BE(0) + 1) / 0x1_0000_0000;
  const second = bytes.readUInt32BE(4) / 0x1_0000_0000;
  return Math.sqrt(-2 * Math.log(first)) * Math.cos(2 * Math.PI * second);
}

class LogDistance implements Propagation {
  readonly #config: SimulatorConfig;
  readonly #origin: Coordinates | undefined;
  readonly #gateways: Map<string, Point>;
  readonly #motes: Map<string, Point>;

  constructor(config: SimulatorConfig, devEuis: readonly string[]) {
    this.#config = config;
    const positions = config.gateways.flatMap(({ position }) => position ?? []);
    this.#origin = positions.find(isCoordinates);
    this.#gateways = new Map(
      config.gateways.flatMap(({ id, position }) =>
        position ? [[id, pointOf(position, this.#origin)]] : [],
      ),
    );
    this.#motes = new Map(devEuis.map((devEui, index) => [devEui, this.#placeOf(devEui, index)]));
  }

  receivedDbm(gatewayId: string, devEui: string, powerDbm: number): number | undefined {
    const [gateway, mote] = [this.#gateways.get(gatewayId), this.#motes.get(devEui)];
    if (gateway === undefined || mote === undefined) return undefined;
    const { referenceLossDb, exponent, shadowingDb } = this.#config.radio;
    const distance = Math.max(NEAREST_M, distanceM(gateway, mote));
    const shadowing = shadowingDb * gaussian(this.#config.seed, `shadowing/${gatewayId}/${devEui}`);
    return powerDbm - referenceLossDb - 10 * exponent * Math.log10(distance / REFERENCE_M) - shadowing;
  }

  whereIs(devEui: string): Point | undefined {
    return this.#motes.get(devEui);
  }

  moveMote(devEui: string, position: Position): void {
    this.#motes.set(devEui, this.#pointOf(position));
  }

  moveGateway(gatewayId: string, position: Position): void {
    this.#gateways.set(gatewayId, this.#pointOf(position));
  }

  #placeOf(devEui: string, index: number): Point {
    const given = this.#config.motePositions[index];
    if (given !== undefined) return pointOf(given, this.#origin);
    const random = createRandom(this.#config.seed, `position/${devEui}`);
    return pointInDisc(this.#centre(), this.#config.areaRadiusM, random.uniform(), random.uniform());
  }

  #pointOf(position: Position): Point {
    if (isCoordinates(position) !== (this.#origin !== undefined)) {
      const unit = this.#origin === undefined ? 'metres' : 'degrees';
      throw new SimulatorError('badCommand', `positions are in ${unit} here`);
    }
    return pointOf(position, this.#origin);
  }

  #centre(): Point {
    const points = [...this.#gateways.values()];
    const mean = (values: readonly number[]): number =>
      values.reduce((sum, value) => sum + value, 0) / values.length;
    return { x: mean(points.map(({ x }) => x)), y: mean(points.map(({ y }) => y)) };
  }
}

/**
 * Log-distance path loss with log-normal shadowing, drawn once for each link from the seed. Defaults: Petajajarvi et
 * al., On the coverage of LPWANs (ITST 2015), suburban, 868 MHz.
 */
export function createPropagation(config: SimulatorConfig, devEuis: readonly string[]): Propagation {
  const hasPositions = config.gateways.some(({ position }) => position !== undefined);
  return hasPositions ? new LogDistance(config, devEuis) : NOWHERE;
}
