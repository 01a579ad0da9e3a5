import { expect, test } from '@jest/globals';
import { judgeNetworkServer, type NetworkServer, type SomeContract } from './network-server-check.ts';

const devEui = '0102030405b74b92';
const server: NetworkServer = {
  ...{ devices: [{ name: 'pier-3', devEui }], through: 'ownWay', mayAct: false, why: 'it has its own way' },
  ...{ waiting: { events: 0 }, gateways: ['0016c001ff10a1b2'] },
};
const contract = (change: Partial<SomeContract> = {}): SomeContract => ({
  ...{ contractId: 'c-1', role: 'customer', state: 'ready' },
  terms: { set: { devices: [{ devEui: devEui.toUpperCase() }] } },
  ...change,
});
const said = (told: NetworkServer, ...contracts: SomeContract[]): string =>
  judgeNetworkServer(told, contracts)
    .map(({ level, says }) => `${level}: ${says}`)
    .join('\n');

test('a contract that acts for devices of a ChirpStack with its own way is a problem', () => {
  expect(said(server, contract())).toMatch(/^problem: contract c-1 .*its own way/);
  expect(said({ ...server, mayAct: true }, contract())).toMatch(/^ok/);
  expect(said({ ...server, through: 'ourBridge' })).toMatch(/^warning: .*its own way/);
  expect(said(server)).toMatch(
    /^ok: ChirpStack is the network server of 1 devices; contracts that act are refused/,
  );
});

test('not one that is over, another role, or about other devices', () => {
  const others = { set: { devices: [{ devEui: '00000000000000ff' }] } };
  const none = [contract({ letGo: true }), contract({ role: 'provider' }), contract({ terms: others })];
  none.push(contract({ terms: { ...contract().terms, confidentiality: 'relay' } }));
  expect(said(server, ...none)).toMatch(/^ok/);
});

test('silence, and what waits, is told', () => {
  expect(said({ ...server, gateways: [], waiting: { events: 3 } })).toMatch(
    /no uplink for a week[^]*3 readings/,
  );
});
