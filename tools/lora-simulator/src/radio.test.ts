import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SimulatorConfigInput } from './config.ts';
import type { Propagation } from './propagation.ts';
import type { Arrival, Receiver } from './receiver.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { SimulatorError } from './errors.ts';
import { distanceM, pointInDisc, pointOf } from './positions.ts';
import { createPropagation } from './propagation.ts';
import { createReceiver } from './receiver.ts';
import { addDbm, reportOf, sensitivityDbm, snrOf } from './signal.ts';

const ID = '00000000000000aa';

function propagationOf(input: Partial<SimulatorConfigInput> = {}): {
  propagation: Propagation;
  devEuis: string[];
} {
  const gateways = [{ id: ID, port: 1700, position: { x: 0, y: 0 } }];
  const config = parseConfig({ gateways, motes: 200, ...input });
  const devEuis = devicesOf(config).map(({ devEui }) => devEui);
  return { propagation: createPropagation(config, devEuis), devEuis };
}

describe('positions', () => {
  test('in degrees become metres', () => {
    // A minute of latitude is a nautical mile.
    const patras = { lat: 38.25, lon: 21.75 };
    expect(pointOf({ lat: 38.25 + 1 / 60, lon: 21.75 }, patras).y).toBeCloseTo(1_855, -1);
    const east = pointOf({ lat: 38.25, lon: 21.76 }, patras);
    expect(east.x).toBeCloseTo(874, -1);
    expect(distanceM(pointOf(patras, patras), { x: 3, y: 4 })).toBe(5);
  });

  test('of motes are spread over the area', () => {
    const { propagation, devEuis } = propagationOf({ areaRadiusM: 1_000 });
    const distances = devEuis.map((devEui) => distanceM(propagation.whereIs(devEui)!, { x: 0, y: 0 }));
    expect(Math.max(...distances)).toBeLessThan(1_000);
    // Half of a disc lies outside of 0.707 of its radius.
    expect(distances.filter((distance) => distance > 707).length).toBeGreaterThan(70);
    expect(pointInDisc({ x: 5, y: 5 }, 10, 0, 0.3)).toEqual({ x: 5, y: 5 });
  });
});

describe('path loss', () => {
  const plain = { radio: { shadowingDb: 0 } };

  test('is that of the model, and the same for the same seed', () => {
    const motePositions = [100, 1_000, 10_000].map((x) => ({ x, y: 0 }));
    const { propagation, devEuis } = propagationOf({ ...plain, motePositions });
    const received = devEuis.slice(0, 3).map((devEui) => propagation.receivedDbm(ID, devEui, 14));
    expect(received.map((dbm) => Math.round((dbm ?? 0) * 100) / 100)).toEqual([-91.75, -114.95, -138.15]);
    const shadowed = (): (number | undefined)[] => {
      const { propagation: own } = propagationOf({ motePositions });
      return devEuis.slice(0, 3).map((devEui) => own.receivedDbm(ID, devEui, 14));
    };
    expect(shadowed()).toEqual(shadowed());
    expect(shadowed()).not.toEqual(received);
  });

  test('has the configured shadowing', () => {
    const motePositions = Array.from({ length: 200 }, () => ({ x: 1_000, y: 0 }));
    const { propagation, devEuis } = propagationOf({ motePositions, radio: { shadowingDb: 6 } });
    const deviations = devEuis.map((devEui) => (propagation.receivedDbm(ID, devEui, 0) ?? 0) + 128.95);
    const mean = deviations.reduce((sum, value) => sum + value, 0) / deviations.length;
    const variance = deviations.reduce((sum, value) => sum + (value - mean) ** 2, 0) / deviations.length;
    expect(Math.abs(mean)).toBeLessThan(1.5);
    expect(Math.sqrt(variance)).toBeGreaterThan(5);
    expect(Math.sqrt(variance)).toBeLessThan(7);
  });

  test('follows a mote and a gateway that move', () => {
    const { propagation, devEuis } = propagationOf(plain);
    const devEui = devEuis[0]!;
    propagation.moveMote(devEui, { x: 3_000, y: 0 });
    const far = propagation.receivedDbm(ID, devEui, 14) ?? 0;
    propagation.moveGateway(ID, { x: 2_000, y: 0 });
    expect((propagation.receivedDbm(ID, devEui, 14) ?? 0) - far).toBeCloseTo(23.2 * Math.log10(3), 5);
    expect(() => propagation.moveMote(devEui, { lat: 1, lon: 1 })).toThrow('metres');
  });

  test('is nobody`s business where nothing has a position', () => {
    const { propagation, devEuis } = propagationOf({ gateways: [{ id: ID, port: 1700 }] });
    expect(propagation.receivedDbm(ID, devEuis[0]!, 14)).toBeUndefined();
    expect(propagation.whereIs(devEuis[0]!)).toBeUndefined();
    expect(() => propagation.moveMote(devEuis[0]!, { x: 0, y: 0 })).toThrow(SimulatorError);
  });
});

describe('a signal', () => {
  test('is received down to the floor of its spreading factor', () => {
    expect([7, 8, 9, 10, 11, 12].map((sf) => Math.round(sensitivityDbm(sf) * 10) / 10)).toEqual([
      -124.5, -127, -129.5, -132, -134.5, -137,
    ]);
    expect(snrOf(sensitivityDbm(12))).toBeCloseTo(-20, 9);
  });

  test('is reported with the noise in its channel, and never cleaner than a concentrator can tell', () => {
    expect(reportOf(-137)).toEqual({ rssi: -117, snr: -20 });
    expect(reportOf(-60)).toEqual({ rssi: -60, snr: 14 });
    expect(addDbm(-100, -100)).toBeCloseTo(-96.99, 2);
  });
});

describe('a receiver', () => {
  const options = { collisions: true, captureDb: 6, demodulators: 8, halfDuplex: true };
  const arrival = (changes: Partial<Arrival> = {}): Arrival => ({
    ...{ freqMhz: 868.1, spreadingFactor: 9, startMs: 0, endMs: 100, signalDbm: -100, isDetected: true },
    ...changes,
  });
  const missed = (arrivals: readonly Arrival[], receiver: Receiver = createReceiver(options)) => {
    const incoming = arrivals.map((one) => receiver.arrive(one));
    return incoming.map((one) => one.missed());
  };

  test('loses two equal frames that overlap, and both of three', () => {
    expect(missed([arrival(), arrival({ startMs: 50, endMs: 150 })])).toEqual(['collision', 'collision']);
    expect(missed([arrival(), arrival({ startMs: 100, endMs: 150 })])).toEqual([undefined, undefined]);
  });

  test('captures one that is six dB above all others together', () => {
    const weak = arrival({ signalDbm: -106 });
    expect(missed([arrival(), weak])).toEqual([undefined, 'collision']);
    expect(missed([arrival(), weak, weak])).toEqual(['collision', 'collision', 'collision']);
    // What is too weak to be received disturbs all the same, but is no miss.
    expect(missed([arrival(), arrival({ isDetected: false })])).toEqual(['collision', undefined]);
  });

  test('keeps channels and spreading factors apart', () => {
    const others = [arrival(), arrival({ freqMhz: 868.3 }), arrival({ spreadingFactor: 10 })];
    expect(missed(others)).toEqual([undefined, undefined, undefined]);
  });

  test('demodulates eight frames at a time', () => {
    const nine = Array.from({ length: 9 }, (_, index) =>
      arrival({ freqMhz: 867 + index / 5, startMs: index, endMs: 100 + index }),
    );
    expect(missed(nine)).toEqual([...Array<undefined>(8), 'demodulators']);
    const receiver = createReceiver(options);
    missed(nine, receiver);
    expect(missed([arrival({ startMs: 101, endMs: 200, freqMhz: 869 })], receiver)).toEqual([undefined]);
    expect(missed(nine, createReceiver({ ...options, demodulators: 0 }))).toEqual(Array(9).fill(undefined));
  });

  test('hears nothing while it sends', () => {
    const receiver = createReceiver(options);
    const before = receiver.arrive(arrival());
    receiver.transmit(50, 250);
    const during = receiver.arrive(arrival({ startMs: 120, endMs: 220 }));
    const after = receiver.arrive(arrival({ startMs: 250, endMs: 300 }));
    expect([before, during, after].map((one) => one.missed())).toEqual([
      'transmitting',
      'transmitting',
      undefined,
    ]);
  });

  test('without options receives whatever is strong enough', () => {
    const receiver = createReceiver({ ...options, collisions: false, demodulators: 0, halfDuplex: false });
    receiver.transmit(0, 1_000);
    expect(missed(Array<Arrival>(20).fill(arrival()), receiver)).toEqual(Array(20).fill(undefined));
  });

  test('never receives two frames that overlap on one channel and spreading factor, nor one because of another', () => {
    const one = fc.record({
      startMs: fc.integer({ min: 0, max: 500 }),
      lengthMs: fc.integer({ min: 1, max: 300 }),
      signalDbm: fc.integer({ min: -130, max: -60 }),
      spreadingFactor: fc.constantFrom(7, 8),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 20 }), (drawn) => {
        const arrivals = drawn
          .map(({ lengthMs, ...rest }) => arrival({ ...rest, endMs: rest.startMs + lengthMs }))
          .sort((a, b) => a.startMs - b.startMs);
        const outcome = missed(arrivals, createReceiver({ ...options, demodulators: 0 }));
        const received = arrivals.filter((_, index) => outcome[index] === undefined);
        for (const [index, first] of received.entries()) {
          for (const second of received.slice(index + 1)) {
            const overlap = second.startMs < first.endMs && second.spreadingFactor === first.spreadingFactor;
            expect(overlap).toBe(false);
          }
        }
        const fewer = missed(arrivals.slice(1), createReceiver({ ...options, demodulators: 0 }));
        for (const [index, reason] of fewer.entries()) {
          if (reason !== undefined) expect(outcome[index + 1]).toBeDefined();
        }
      }),
      { seed: 11, numRuns: 300 },
    );
  });
});
