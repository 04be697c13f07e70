//! What an account keeps: templates, signatures, labels, files, qualifications.

use super::super::known::Request;
use super::super::requests::{engagelab, engagelab_dev, owned, sendcloud, ucloud};
use super::super::text_at;
use super::Maker;
use serde_json::json;

impl Maker {
    /// Templates, signatures, labels, files and qualifications, created over the APIs.
    pub(super) fn create_records(&mut self) {
        let template = json!({ "Purpose": 1, "TemplateName": "login", "Template": "Code {1}, valid {2} minutes",
            "Remark": "For logins" });
        let path = "/api/v1/usms/USMSTemplate".to_owned();
        let request = Request::UspeedoRest(path.clone(), Vec::new(), Some(template));
        let submitted = text_at(&self.request(&request), "/TemplateId");
        let fields = [
            ("templateName", "draft"),
            ("templateText", "Your parcel %no% is here"),
            ("signName", "Acme"),
            ("signPositionStr", "0"),
            ("smsTypeStr", "1"),
        ];
        let draft = self.request(&sendcloud("addsms", &fields));
        let draft = draft["info"]["templateId"].to_string();
        let label = self.request(&sendcloud("label/save", &[("labelName", "spring")]));
        assert_eq!(label["statusCode"], 200, "{label}");
        let file = [
            ("FileName", "licence.png"),
            ("FileContent", "aGVsbG8="),
            ("Source", "0"),
            ("FileType", "image/png"),
        ];
        let file = self.request(&ucloud("UploadUSMSFile", &file));
        let file = text_at(&file, "/FileId");
        let qualification = [
            ("Name", "main"),
            ("Attr", "0"),
            ("Status", "1"),
            ("HandlerPhone", "13800138000"),
            ("CompanyCertificateFileId", &*file),
        ];
        let qualification = self.request(&ucloud("AddUSMSSignatureQualification", &qualification));
        let qualification = text_at(&qualification, "/QualificationId");
        let signature = [
            ("SigContent", "Acme Shop"),
            ("SigType", "0"),
            ("SigPurpose", "0"),
            ("CertificateType", "0"),
            ("Description", "for company use"),
            ("QualificationId", &*qualification),
        ];
        let signature = self.request(&ucloud("CreateUSMSSignature", &signature));
        let signature = text_at(&signature, "/SigId");
        for request in [
            ucloud("QueryUSMSTemplate", &[("TemplateId", &submitted)]),
            ucloud(
                "QueryUSMSTemplate",
                &[("TemplateId", self.templates.ut_id("code"))],
            ),
            ucloud("QueryUSMSSignature", &[("SigId", &signature)]),
            ucloud(
                "QueryUSMSSignatureQualification",
                &[("QualificationId", &qualification)],
            ),
            sendcloud("get", &[("templateIdStr", &draft)]),
            sendcloud("list", &[]),
            sendcloud("sign/list", &[]),
            sendcloud("label/list", &[]),
            Request::UspeedoRest(path, owned(&[("id", &submitted)]), None),
            engagelab("/v1/templates", &[]),
            engagelab("/v1/signs", &[]),
            engagelab("/v1/labels", &[]),
            engagelab_dev("/v1/template-configs"),
            engagelab_dev("/v1/sign-configs"),
        ] {
            self.record("acme", request);
        }
    }
}
