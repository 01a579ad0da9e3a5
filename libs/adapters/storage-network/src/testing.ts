// What tests of storage networks stand on, for other packages' tests too.
export * from './storage-network-compliance.ts';
export { openTestWay, type TestWay, type WayFault } from './test-way.ts';
export { TestKubo } from './test-kubo.ts';
export { TestPinningService } from './test-pinning-service.ts';
