import type { TokenEvent } from '@perdure/sdk';
import { pc } from './paint';

/** Tokens as a person reads them: the text as it comes, and a mark where what stands above is void. */
export class TokenLines {
  private call = '';
  private isMidLine = false;

  /** What to write next. */
  take(event: TokenEvent): string {
    switch (event.type) {
      case 'text':
        return this.under(event.call, event.text);
      case 'reset': {
        const { call, epoch, attempt } = event;
        return this.mark(
          pc.yellow(`↺ what stands above of ${call} is void: it is told anew (epoch ${epoch}, attempt ${attempt})`),
        );
      }
      case 'completed':
        return this.mark(pc.dim(`✓ ${event.call}: ${event.offset} characters, recorded as #${event.revision}`));
      case 'rewound':
        return this.mark(pc.yellow(`↺ the run was rewound: what was recorded after #${event.to} is void`));
    }
  }

  private under(call: string, text: string): string {
    const head = call === this.call ? '' : this.mark(pc.dim(`── ${call}`));
    this.call = call;
    this.isMidLine = !text.endsWith('\n');
    return `${head}${text}`;
  }

  /** On a line of its own; what comes after it says again of which call it is. */
  private mark(line: string): string {
    const before = this.isMidLine ? '\n' : '';
    this.isMidLine = false;
    this.call = '';
    return `${before}${line}\n`;
  }
}
