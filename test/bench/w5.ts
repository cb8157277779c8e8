import { Terminal } from '@perdure/kernel';
import type { BenchOptions } from './main';
import type { Figures } from './show';

export function deathLoad(_options: BenchOptions): Promise<Figures> {
  return Promise.reject(new Terminal('NotBuilt', 'w5'));
}
