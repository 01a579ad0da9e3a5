import { expect, test } from '@jest/globals';
import { judgeRefused } from './refused-gateways.ts';

test('gateways that the configuration keeps out are told, with the option to change', () => {
  const metrics = (unknown: number, elsewhere: number): string =>
    [
      '# TYPE antirio_gateway_ignored_total counter',
      `antirio_gateway_ignored_total{reason="unknownGateway"} ${unknown}`,
      `antirio_gateway_ignored_total{reason="sourceNetwork"} ${elsewhere}`,
      'antirio_gateway_ignored_total{reason="malformed"} 9',
    ].join('\n');
  const said = (text: string): string[] => judgeRefused(text).map(({ level, says }) => `${level} ${says}`);
  expect(said(metrics(0, 0))).toEqual([]);
  expect(said('')).toEqual([]);
  expect(said(metrics(2, 3))).toEqual([
    expect.stringMatching(/^warning 3 datagrams .*udp\.sourceNetworks/),
    expect.stringMatching(/^warning 2 datagrams .*udp\.gateways/),
  ]);
});
