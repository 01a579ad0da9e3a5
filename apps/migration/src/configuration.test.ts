import { expect, test } from '@jest/globals';
import { parseConfiguration, readConfiguration } from './configuration.ts';

/** The thesis's Fig. 3.13, as it stands there. */
const FIGURE = {
  service_customer_id: 'EdgeX-64',
  serviceName: 'nodered-device-service',
  activationEvent: 'offline',
  event: { interval: '20', ip: 'https://f223871f69c8b68a509868943f84bf7b.balena-devices.com/' },
  ports: '1880',
  volumes: 'node-red-data:/data',
  depends_on: [
    'lora-appserver',
    'edgex-core-command',
    'edgex-core-data',
    'edgex-core-consul',
    'orchestrator',
  ],
  miner_address: 't1hieq4dc3y3tlptg3xy2nb4ruczlolmcixak2we4a',
};

test('the figure of the thesis is a configuration, with every field as the string it is', () => {
  expect(parseConfiguration(FIGURE)).toEqual(FIGURE);
  expect(readConfiguration(Buffer.from(JSON.stringify(FIGURE)))).toEqual(FIGURE);
});

test('the names that Algorithm 2 uses are taken for those of the figure; given both, the figure counts', () => {
  const { serviceName, activationEvent, event, ...rest } = FIGURE;
  const other = { ...rest, service_name: serviceName, event_type: activationEvent, event_conditions: event };
  expect(parseConfiguration(other)).toEqual(FIGURE);
  expect(parseConfiguration({ ...FIGURE, service_name: 'other' })).toEqual(FIGURE);
});

test('fields of later versions pass', () => {
  expect(parseConfiguration({ ...FIGURE, channels: 8 })).toEqual({ ...FIGURE, channels: 8 });
});

test.each([
  ['no object', []],
  ['null', null],
  ['a missing name', { ...FIGURE, serviceName: undefined }],
  ['a number for an interval', { ...FIGURE, event: { interval: 20, ip: '' } }],
  ['an interval of nothing', { ...FIGURE, event: { interval: '0', ip: '' } }],
  ['an interval that is no number', { ...FIGURE, event: { interval: 'soon', ip: '' } }],
  ['ports that are none', { ...FIGURE, ports: 'all of them' }],
  ['dependencies that are no list', { ...FIGURE, depends_on: 'x' }],
])('%s is refused, naming what is wrong', (_name, value) => {
  expect(() => parseConfiguration(value)).toThrow(/^configuration\.json: /);
});

test('what is no JSON, or too much of it, is refused', () => {
  expect(() => readConfiguration(Buffer.from('{'))).toThrow('is no JSON');
  expect(() => readConfiguration(new Uint8Array(300_000))).toThrow('has over');
});

test('an event in other words is refused where it is stored, and offline where it was stored before', () => {
  const before = { ...FIGURE, activationEvent: 'Failure of the gateway' };
  expect(() => parseConfiguration(before)).toThrow(/activationEvent/);
  expect(readConfiguration(Buffer.from(JSON.stringify(before)))).toEqual(FIGURE);
});
