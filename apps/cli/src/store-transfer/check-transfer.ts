import { isMetastream } from './system-streams';
import { RevisionsMissing } from './transfer.errors';
import { transferItems } from './transfer-lines';

/**
 * Reads a whole transfer before anything of it is imported.
 * @throws NotATransfer, TransferDamaged, TransferCutOff, RevisionsMissing
 */
export async function checkTransfer(source: AsyncIterable<Buffer>, { fill }: { readonly fill: boolean }): Promise<void> {
  const next = new Map<string, number>();
  const cutOff = new Set<string>();
  for await (const item of transferItems(source)) {
    if (fill || item.kind === 'tombstone' || isMetastream(item.stream)) continue;
    if (item.revision > (next.get(item.stream) ?? 0)) cutOff.add(item.stream);
    next.set(item.stream, item.revision + 1);
  }
  if (cutOff.size > 0) throw new RevisionsMissing([...cutOff]);
}
