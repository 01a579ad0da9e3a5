// Jest has one timeout for all projects; each of our kinds of test has its own.
import { jest } from '@jest/globals';

declare const testTimeoutMs: number;

jest.setTimeout(testTimeoutMs);
