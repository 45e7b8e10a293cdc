cd /tmp/wt/control
sed 's/if ((words\[slot + 0\] & 3) === 1) this.#noteFirst(slot, figures);//' dist/bench/pipeline-variant.bundle.js > dist/bench/pv-off.bundle.js
cmp -s dist/bench/pv-off.bundle.js dist/bench/pipeline-variant.bundle.js && echo SAME
for i in 1 2 3 4 5 6; do for p in pipeline-variant pv-off; do node dist/bench/$p.bundle.js default | node -e "let s='';process.stdin.on('data',d=>s+=d).on('end',()=>{const r=JSON.parse(s);const m=a=>[].concat(a).sort((x,y)=>y-x)[0];console.log('$p','req',(m(r.requests)/1e6).toFixed(2),'rep',(m(r.replies)/1e6).toFixed(2))})"; done; done; rm dist/bench/pv-off.bundle.js
