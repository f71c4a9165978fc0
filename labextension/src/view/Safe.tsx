/**
 * Hosts for content that is not to be trusted.
 */
import {
  removeMath,
  renderLatex,
  renderText,
  replaceMath
} from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import * as React from 'react';

import { blocksOf } from '../render/markdown';
import { framed } from '../render/mime';
import { patch } from '../render/patch';
import {
  FILE_IMAGE,
  FILE_LINK,
  guardTypesetter,
  REMOTE_IMAGE,
  SafeSanitizer
} from '../render/safe';
import type { FindFile } from '../render/safe';
import { breathe, cancelTurn, inTurn } from '../render/turns';
import { Code } from './Code';
import { useServices } from './services';
import type { IServices } from './services';

type Format = 'markdown' | 'html' | 'latex' | 'text';

interface ISafeProps {
  format: Format;
  source: string;
  find?: FindFile;
}

/** Renders one source; renders again into the same element when the source changes. */
export const Safe = React.memo(function Safe(props: ISafeProps): JSX.Element {
  const services = useServices();
  const host = React.useRef<HTMLDivElement>(null);
  const { format, source, find } = props;
  React.useEffect(() => {
    const element = host.current;
    if (!element) {
      return;
    }
    inTurn(element, () => renderInto(element, format, source, find, services));
    return () => cancelTurn(element);
  }, [format, source, find, services]);
  return (
    <div
      ref={host}
      className={`jp-CISafe jp-CISafe-${format} ${
        format === 'text' ? 'jp-RenderedText' : 'jp-RenderedHTMLCommon'
      }`}
      onClick={event => onClick(event, services)}
    />
  );
});

/** What is being rendered, or was last. */
const latest = new WeakMap<HTMLElement, string>();

/** What a formula begins with, as Lab's typesetter looks for it. */
const FORMULA = /\$|\\[([]|\\begin/;

async function renderInto(
  host: HTMLElement,
  format: Format,
  source: string,
  find: FindFile | undefined,
  services: IServices
): Promise<void> {
  const { rendermime, trans, translator } = services;
  const sanitizer = new SafeSanitizer(rendermime.sanitizer, find, from =>
    trans.__('Image from %1 not loaded. Load it', from)
  );
  const { markdownParser } = rendermime;
  const latexTypesetter =
    rendermime.latexTypesetter && guardTypesetter(rendermime.latexTypesetter);
  latest.set(host, source);
  if (format === 'text') {
    host.replaceChildren();
    await renderText({ host, source, sanitizer, translator });
    return;
  }
  if (format === 'latex') {
    await renderLatex({ host, source, shouldTypeset: true, latexTypesetter });
    return;
  }
  let html = source;
  if (format === 'markdown') {
    const { text, math } = removeMath(source);
    html = markdownParser
      ? replaceMath(await markdownParser.render(text), math)
      : escape(source);
    await breathe();
  }
  const clean = await sanitizer.clean(html);
  await breathe();
  if (latest.get(host) !== source) {
    return;
  }
  await patch(host, clean);
  if (FORMULA.test(source)) {
    await latexTypesetter?.typeset(host);
  }
  for (const image of host.querySelectorAll(`img[${FILE_IMAGE}]`)) {
    const id = image.getAttribute(FILE_IMAGE)!;
    services.model.files.imageUrl(id).then(
      url => image.setAttribute('src', url),
      () => image.replaceWith(image.getAttribute('alt') ?? '')
    );
  }
}

function escape(text: string): string {
  const element = document.createElement('pre');
  element.textContent = text;
  return element.outerHTML;
}

function onClick(event: React.MouseEvent, services: IServices): void {
  const target = event.target as Element;
  const link = target.closest(`[${FILE_LINK}], [${REMOTE_IMAGE}]`);
  if (!link) {
    return;
  }
  event.preventDefault();
  const file = link.getAttribute(FILE_LINK);
  if (file !== null) {
    void services.model.files.download(file);
    return;
  }
  const image = document.createElement('img');
  image.referrerPolicy = 'no-referrer';
  image.src = link.getAttribute(REMOTE_IMAGE)!;
  image.alt = '';
  link.replaceWith(image);
}

/** Markdown that may still be growing: only its last block is rendered anew. */
export function Markdown(props: {
  source: string;
  find?: FindFile;
}): JSX.Element {
  const blocks = blocksOf(props.source);
  return (
    <>
      {blocks.map(({ source, language }, at) =>
        language === null ? (
          <Safe
            key={at}
            format="markdown"
            source={source}
            find={source.includes('sandbox:') ? props.find : undefined}
          />
        ) : (
          <Code key={at} code={source} language={language} />
        )
      )}
    </>
  );
}

/** HTML with a style sheet of its own, in a frame that has no rights at all. */
export function Frame(props: { source: string; title: string }): JSX.Element {
  return (
    <iframe
      className="jp-CIFrame"
      sandbox=""
      srcDoc={framed(props.source)}
      title={props.title}
    />
  );
}

/** A chart or a tree, drawn by the renderer that the application has for its type. */
export function Rendered(props: {
  mime: string;
  data: Readonly<Record<string, unknown>>;
  metadata: Readonly<Record<string, unknown>>;
}): JSX.Element {
  const { rendermime } = useServices();
  const host = React.useRef<HTMLDivElement>(null);
  const { mime, data, metadata } = props;
  // A layout effect, because its clean-up runs while the widget is still in the page.
  React.useLayoutEffect(() => {
    const parent = host.current;
    if (!parent) {
      return;
    }
    const sanitizer = new SafeSanitizer(rendermime.sanitizer);
    const renderer = rendermime.clone({ sanitizer }).createRenderer(mime);
    Widget.attach(renderer, parent);
    const model = rendermime.createModel({
      data: { [mime]: data[mime] } as any,
      metadata: metadata as any,
      trusted: false
    });
    renderer.renderModel(model).catch(reason => {
      parent.textContent = String(reason);
    });
    return () => {
      if (renderer.node.isConnected) {
        renderer.dispose();
      }
    };
  }, [rendermime, mime, data, metadata]);
  return <div ref={host} className="jp-CIRendered" />;
}
