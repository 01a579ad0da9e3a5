// What tests of Filecoin stand on, for other packages' tests too.
export { TestChain } from './test-chain.ts';
export { TestProvider } from './test-provider.ts';
