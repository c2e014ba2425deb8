import { launchBrowser } from './scripts/browser.mjs';
import { serve } from './webview/dev/serve.mjs';
const [b,s]=await Promise.all([launchBrowser(),serve()]);
const errors=[];
for (const [theme,w,h,q,full] of [['dark',1000,1300,'run=summer&against=harris'],['light',320,1700,'run=summer&against=harris'],['hc-dark',1600,1100,'run=harris&against=summer'],['hc-light',700,900,'run=one&against=summer'],['light',1100,1200,'run=large&tokens=1500&dims=400&against=large']]) {
  const p=await b.newPage({viewport:{width:w,height:h}});
  p.on('pageerror',e=>errors.push(String(e)));
  await p.goto(`${s.address}?theme=${theme}&${q}`);
  await p.waitForTimeout(5000);
  await p.screenshot({path:`/tmp/h-${theme}-${w}.png`});
  await p.close();
}
console.log(errors);
await b.close(); await s.close?.(); process.exit(0);
