import { describe, expect, test } from '@jest/globals';
import { isForeign, isNotAllowed, resolverFor } from './destinations.ts';

const refused = (url: string, hosts: readonly string[] = []): boolean => {
  try {
    resolverFor(url, hosts);
    return false;
  } catch (error) {
    return isNotAllowed(error);
  }
};

describe('where rules of others may go', () => {
  test.each(['8.8.8.8', '172.15.0.1', '100.128.0.1', '2606:4700::1', '2a00:1450:4001::5'])(
    '%s is public',
    (address) => expect(isForeign(address)).toBe(true),
  );

  test.each([
    ...['127.0.0.1', '127.255.0.9', '0.0.0.0', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.169.254'],
    ...['100.64.0.1', '224.0.0.1', '255.255.255.255', '::', '::1', '::ffff:127.0.0.1', '::ffff:a00:1'],
    ...['fe80::1', 'fd00::1', 'ff02::1', '64:ff9b::7f00:1', '2002:7f00:1::', 'nonsense'],
  ])('%s is not', (address) => expect(isForeign(address)).toBe(false));

  test('an address in the URL needs no resolver to be refused, in whatever way it is written', () => {
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:10.0.0.1]', '192.168.1'])
      expect({ host, refused: refused(`http://${host}:8080/in`) }).toEqual({ host, refused: true });
    expect(refused('mqtts://10.0.0.5')).toBe(true);
    expect(refused('https://1.1.1.1/in')).toBe(false);
  });

  test('what the configuration names may be anywhere, with its port where that is named', () => {
    expect(refused('http://10.0.0.5:8080/in', ['10.0.0.5'])).toBe(false);
    expect(refused('http://10.0.0.5:8080/in', ['10.0.0.5:8080'])).toBe(false);
    expect(refused('http://10.0.0.5:59880/in', ['10.0.0.5:8080'])).toBe(true);
    expect(refused('mqtt://[fd00::5]', ['[fd00::5]:1883'])).toBe(false);
    expect(resolverFor('http://cloud.lan/in', ['cloud.lan:80'])).toBeUndefined();
    expect(resolverFor('http://cloud.lan/in', [])).toBeDefined();
    expect(resolverFor('http://127.0.0.1/in', undefined)).toBeUndefined();
  });
});
