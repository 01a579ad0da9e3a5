import { expect, test } from '@jest/globals';
import { baseUrlOf } from './base-url.ts';

const secured = { tls: () => ({}) };

test('core-command is told to speak TLS to an orchestrator that listens beyond its host with it', () => {
  expect(baseUrlOf({ bind: '10.0.0.7' }, secured, 59_700)).toBe('https://10.0.0.7:59700');
  expect(baseUrlOf({ bind: '10.0.0.7' }, undefined, 59_700)).toBe('http://10.0.0.7:59700');
  expect(baseUrlOf({ bind: '127.0.0.1' }, secured, 59_700)).toBe('http://127.0.0.1:59700');
});

test('what the configuration says is told as it is', () => {
  const said = { bind: '0.0.0.0', baseUrl: 'https://edge.example:8443/' };
  expect(baseUrlOf(said, undefined, 59_700)).toBe('https://edge.example:8443');
});
