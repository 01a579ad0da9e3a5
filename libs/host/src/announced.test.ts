import { hostname } from 'node:os';
import { expect, test } from '@jest/globals';
import { announcedUrl } from './announced.ts';

const secured = { tls: () => ({}) };

test.each([
  [undefined, '127.0.0.1', 'http://127.0.0.1:59880'],
  [undefined, '10.0.0.7', 'http://10.0.0.7:59880'],
  [undefined, '0.0.0.0', `http://${hostname()}:59880`],
  [{}, 'core-data', 'http://core-data:59880'],
  // who is on this host speaks plain HTTP with the same port
  [secured, '127.0.0.1', 'http://127.0.0.1:59880'],
  [secured, '::1', 'http://[::1]:59880'],
  [secured, 'localhost', 'http://localhost:59880'],
  [secured, '10.0.0.7', 'https://10.0.0.7:59880'],
  [secured, 'fd00::7', 'https://[fd00::7]:59880'],
  [secured, '::', `https://${hostname()}:59880`],
])('with %o, who listens at %s is announced as %s', (access, bind, url) => {
  expect(announcedUrl(access, bind, 59_880)).toBe(url);
});
